"""OpenVINO without its converter, which reports every import of OpenVINO to Google Analytics.

`import openvino` imports `openvino.tools.ovc` where it can, and that sends an event, keeps a client identity in the
user's home and forks a process; nothing here needs it. OpenVINO goes without it if it cannot be imported, which takes
half the time. Afterwards a program that uses Twindex may import `openvino.tools.ovc` itself to convert models (only the
short form `openvino.convert_model` is missing), and one that had imported OpenVINO before keeps what it has.
"""

import sys

_CONVERTER = "openvino.tools.ovc"
_BARRED = _CONVERTER not in sys.modules

if _BARRED:
    # None makes an import of this name fail, see "The module cache" in the Python language reference.
    sys.modules[_CONVERTER] = None  # type: ignore[assignment]
try:
    import openvino
    from openvino import opset13 as ops
finally:
    if _BARRED:
        del sys.modules[_CONVERTER]

__all__ = ["openvino", "ops"]
