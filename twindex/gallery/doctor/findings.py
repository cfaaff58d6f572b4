"""What a check-up finds: a promise that is not kept, how bad that is, and what mends it."""

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
        generation: The generation whose snapshot it is about, or 0.
        file: The file it is about, or "".
        reference: The reference whose template is damaged, or 0.
        model: The fingerprint of that template's model, or "".
        erasure: The row of the audit it is about, or 0.
        code: Stable, for programs.
        severity: "error" breaks a promise, "warning" endangers one, "note" is worth knowing.
        advice: How people mend what `mend` cannot.
        mended: Whether it was found and has been mended since.
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
    mended: bool = False

    @property
    def mendable(self) -> bool:
        return self.remedy != "none"

    @property
    def unresolved(self) -> bool:
        """Whether it breaks a promise and has not been mended."""
        return self.severity == "error" and not self.mended

    @property
    def instruction(self) -> str:
        """What people do about it."""
        return REPAIR if self.mendable else self.advice

    def to_json(self) -> dict[str, Any]:
        """As `doctor --json` prints it."""
        return {
            "code": self.code,
            "severity": self.severity,
            "message": self.text,
            "remedy": self.instruction,
            "mended": self.mended,
        }
