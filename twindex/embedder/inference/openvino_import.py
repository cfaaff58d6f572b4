"""Import OpenVINO without its converter, which reports every import to Google Analytics.

`import openvino` tries to import `openvino.tools.ovc`, which sends an event, stores a client identity in the user's
home folder and forks a process. Nothing here needs it. If that import fails, OpenVINO works without it and is imported
in half the time. A program that uses Twindex may still import `openvino.tools.ovc` afterwards to convert models; only
the short form `openvino.convert_model` is missing. If the program has imported OpenVINO before, nothing changes.
"""

import sys

_CONVERTER = "openvino.tools.ovc"
_BARRED = _CONVERTER not in sys.modules

if _BARRED:
    # None makes the import of this name fail; see "The module cache" in the Python language reference.
    sys.modules[_CONVERTER] = None  # type: ignore[assignment]
try:
    import openvino
    from openvino import opset13 as ops
finally:
    if _BARRED:
        del sys.modules[_CONVERTER]

__all__ = ["openvino", "ops"]
