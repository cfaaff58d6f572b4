"""What a check-up finds: something that is not as promised, how bad it is, and what mends it."""

from dataclasses import dataclass
from typing import Any, Literal

Remedy = Literal[
    "none",
    "forget_snapshot",
    "unlink_file",
    "embed_again",
    "embed_missing",
    "erase_orphans",
    "log_enrolments",
    "raise_counters",
    "remove_leftover",
    "close_to_others",
    "change_journal",
    "finish_erasure",
]
Severity = Literal["error", "warning", "note"]
REPAIR = "Run `twindex doctor --repair`."
RESTORE = "Restore a backup: `twindex import` of an archive into another folder."


@dataclass(frozen=True)
class Finding:
    """Something that is not as promised.

    Attributes:
        text: One sentence for people.
        remedy: What `mend` does about it, or "none".
        generation: Whose snapshot it is about, or 0.
        file: The file it is about, or "".
        reference: Whose damaged template it is about, or 0.
        model: The fingerprint of that template's model, or "".
        erasure: Which row of the audit it is about, or 0.
        code: Stable, for programs.
        severity: "error" breaks a promise, "warning" endangers one, "note" is worth knowing.
        advice: How people mend what `mend` cannot.
    """

    text: str
    remedy: Remedy = "none"
    generation: int = 0
    file: str = ""
    reference: int = 0
    model: str = ""
    erasure: int = 0
    code: str = "damage"
    severity: Severity = "error"
    advice: str = RESTORE

    @property
    def mendable(self) -> bool:
        return self.remedy != "none"

    def to_json(self, *, mended: bool) -> dict[str, Any]:
        """As `doctor --json` prints it."""
        return {
            "code": self.code,
            "severity": self.severity,
            "message": self.text,
            "remedy": REPAIR if self.mendable else self.advice,
            "mended": mended,
        }
