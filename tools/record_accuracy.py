"""Write what was measured into a bundle's card: the JSON of `twindex evaluate`, and the command that gave it.

    python tools/record_accuracy.py BUNDLE NAME report.json "twindex evaluate pairs ..."

The fingerprint stays: accuracy is no part of it. What is stored is the report without the model's own fingerprint.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

from twindex.embedder.model.bundle import CARD_FILE, load_bundle
from twindex.errors import TwindexError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("name")
    parser.add_argument("report", type=Path)
    parser.add_argument("command")
    options = parser.parse_args()
    card = load_bundle(options.bundle).card
    values = json.loads(options.report.read_text("utf-8"))
    if values.pop("model") != card.fingerprint:
        raise TwindexError(f"{options.report} was measured with another model.")
    measured = {**values, "command": options.command}
    changed = replace(card, accuracy={**card.accuracy, options.name: measured})
    text = json.dumps(changed.to_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    partial = options.bundle / f".{CARD_FILE}"
    partial.write_text(text, "utf-8")
    partial.replace(options.bundle / CARD_FILE)


if __name__ == "__main__":
    main()
