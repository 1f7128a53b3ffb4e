"""The one error tree. Every error a person can meet has a text and a next step in both languages.

    TwoKeysError
    ├── BadInput                 what was given cannot be used
    │   ├── BadParameter         a parameter is out of its range
    │   ├── EmptyMessage         nothing to send
    │   ├── MessageTooLarge      more text than the product accepts
    │   ├── PresetTaken          there is a preset of this name already
    │   ├── BadSchema            what an answer's form is described by is no JSON schema
    │   ├── SchemaRefused        it is one, but asks for what no engine can be held to
    │   └── BadFile              a file to import or read is not what it should be
    │       └── BadDocument      a document cannot be read
    ├── NotFound                 a conversation, message, model or preset does not exist
    ├── EngineError              the engine that writes answers
    │   ├── EngineStartFailed    the process or server did not come up
    │   ├── BuildRefused         a build of llama.cpp did not prove that it works here
    │   ├── EngineDied           the process ended while working
    │   ├── EngineOutOfMemory    it ended, or refused, for want of memory
    │   │   └── MemoryPlanRefused    what was chosen cannot fit; nothing was loaded
    │   │       └── ModelTooLarge    the model fits in no way
    │   ├── EngineUnreachable    no answer from the server
    │   ├── EngineRefused        the server said no to the request
    │   ├── CannotContinue       it cannot go on from a begun answer
    │   ├── NotSupported         the model or the server has not what was asked for
    │   ├── SharedContextFull    its parallel answers took the room of this one
    │   └── ContextExceeded      prompt + answer do not fit the context
    │       └── DocumentsTooLong     because of the documents in the prompt
    ├── ModelError               model files
    │   ├── ModelMissing         no model is there yet
    │   ├── ModelBroken          corrupt, truncated or not a GGUF file
    │   ├── DownloadFailed       could not be fetched; can be resumed
    │   │   └── NothingReachable     no source answers; nothing was begun
    │   └── DiskFull             no room for the file
    ├── StoreError               the database
    │   ├── StoreLocked          another program holds it
    │   ├── StoreCorrupt         it cannot be read; a backup was kept
    │   ├── StoreNewer           made by a newer TwoKeys
    │   ├── StoreFull            the disk is full
    │   ├── StoreReadOnly        it can be read only: the folder takes no changes
    │   ├── StoreGone            its file was removed or moved away while it was open
    │   └── AnswersNotStored     answers could not be stored to the last; a file has them
    ├── AccessError              password, host or origin
    └── StreamlitChanged         the installed Streamlit is not one TwoKeys was built for

The texts live in `i18n/texts/errors.toml` under the error's `code`; `params` fill their braces.
"""

import errno
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from twokeys.units import bytes_text


class Reason(str):
    """A cause that is itself a text in both languages, to be given as a param of an error.

    As a string it is the English sentence, so it can be stored and compared like any other.
    """

    key: str
    values: dict[str, Any]

    def __new__(cls, key: str, /, **values: object) -> Self:
        from twokeys.i18n import translate

        reason = super().__new__(cls, translate(key, "en", **_in_language(values, "en")))
        reason.key, reason.values = key, values
        return reason

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, object]]:
        return (self.key,), self.values

    def in_language(self, language: str) -> str:
        """Return the sentence in "zh" or "en"."""
        from twokeys.i18n import translate

        return translate(self.key, language, **_in_language(self.values, language))


class TwoKeysError(Exception):
    """Base of all errors that a person may see.

    `code` names the text; `params` are the values in it. `str(error)` is the English sentence.
    """

    code: ClassVar[str] = "unexpected"

    def __init__(self, **params: object) -> None:
        super().__init__()
        self.params: dict[str, Any] = params

    def message(self, language: str = "en") -> str:
        """Return what failed and why, in "zh" or "en"."""
        from twokeys.i18n import translate

        return translate(f"errors.{self.code}.text", language, **self._shown(language))

    def hint(self, language: str = "en") -> str:
        """Return the next step, in "zh" or "en"."""
        from twokeys.i18n import translate

        return translate(f"errors.{self.code}.hint", language, **self._shown(language))

    def to_dict(self, language: str = "en") -> dict[str, str]:
        """Return code, message and hint, as `--json` prints them and messages store them."""
        return {"code": self.code, "message": self.message(language), "hint": self.hint(language)}

    def stored(self) -> dict[str, Any]:
        """Return code and params as JSON can hold them; `from_stored` makes the error of them again."""
        return {"code": self.code, "params": to_stored(self.params)}

    def _shown(self, language: str) -> dict[str, object]:
        return {name: _short(value, language) for name, value in self.params.items()}

    def __str__(self) -> str:
        return self.message("en")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.params.items())})"


def _short(value: object, language: str) -> str:
    text = value.in_language(language) if isinstance(value, Reason) else str(value)
    return text if len(text) <= 300 else text[:297] + "…"


def _in_language(values: Mapping[str, object], language: str) -> dict[str, object]:
    return {n: v.in_language(language) if isinstance(v, Reason) else v for n, v in values.items()}


def unexpected(exc: BaseException | None = None) -> dict[str, Any]:
    """Return an error as it is stored: our own with its code, any other as "unexpected" with its kind.

    None: that something failed is all that is known.
    """
    if isinstance(exc, TwoKeysError):
        return exc.stored()
    return TwoKeysError(reason="" if exc is None else f"{type(exc).__name__}: {exc}".rstrip(": ")).stored()


_REASONS = "_reasons"


def to_stored(params: Mapping[str, object]) -> dict[str, object]:
    """Return an error's params as JSON can hold them; reasons can be told in both languages again."""
    simple = (str, int, float, bool, type(None))
    stored: dict[str, Any] = {n: v if isinstance(v, simple) else str(v) for n, v in params.items()}
    reasons = {name: value for name, value in params.items() if isinstance(value, Reason)}
    if reasons:
        stored |= {name: str(value) for name, value in reasons.items()}
        stored[_REASONS] = {n: {"key": r.key, "values": to_stored(r.values)} for n, r in reasons.items()}
    return stored


def from_stored(code: str, params: Mapping[str, object]) -> TwoKeysError:
    """Return the error that was stored as its code and `to_stored(params)`; an unknown code is plain."""
    classes, error = [TwoKeysError], TwoKeysError
    while classes:
        error_class = classes.pop()
        classes += error_class.__subclasses__()
        if error_class.code == code and "code" in vars(error_class):
            error = error_class
    return error(**_revived(params))


def read_stored(error: Mapping[str, Any]) -> TwoKeysError:
    """Return the error that `stored` or `unexpected` wrote down; without a code it is plain."""
    return from_stored(str(error.get("code", TwoKeysError.code)), error.get("params") or {})


def _revived(params: Mapping[str, Any]) -> dict[str, object]:
    from twokeys.i18n import catalogue

    values = {name: value for name, value in params.items() if name != _REASONS}
    for name, reason in (params.get(_REASONS) or {}).items():
        if reason["key"] in catalogue():  # stored by an older version otherwise
            values[name] = Reason(reason["key"], **_revived(reason["values"]))
    return values


class BadInput(TwoKeysError):
    """What was given cannot be used. params: reason."""

    code = "bad_input"


class BadParameter(BadInput):
    """params: field, value, allowed."""

    code = "bad_parameter"


class EmptyMessage(BadInput):
    """No params."""

    code = "empty_message"


class MessageTooLarge(BadInput):
    """params: size, limit (characters)."""

    code = "message_too_large"


class PresetTaken(BadInput):
    """params: name."""

    code = "preset_taken"


class BadSchema(BadInput):
    """params: name, reason."""

    code = "bad_schema"


class SchemaRefused(BadInput):
    """Nothing was sent. params: name, keywords (each with its place, as one text)."""

    code = "schema_refused"


class BadFile(BadInput):
    """params: name, reason."""

    code = "bad_file"


class BadDocument(BadFile):
    """params: name, problem (a key of texts/documents.toml), reason and next_step (its texts)."""

    code = "bad_document"


class NotFound(TwoKeysError):
    """params: kind (a key of texts/errors.toml under `kind`), name."""

    code = "not_found"

    def _shown(self, language: str) -> dict[str, object]:
        from twokeys.i18n import catalogue, translate

        key = f"errors.kind.{str(self.params.get('kind')).replace(' ', '_')}"
        shown = super()._shown(language)
        return {**shown, "kind": translate(key, language)} if key in catalogue() else shown


class EngineError(TwoKeysError):
    """params: reason."""

    code = "engine"


class EngineStartFailed(EngineError):
    """params: reason, command (to run by hand), log (tail)."""

    code = "engine_start"


class BuildRefused(EngineError):
    """It is not used; what answered before still does. params: name, reason."""

    code = "build_refused"


class EngineDied(EngineError):
    """params: reason (signal or exit code), log (tail)."""

    code = "engine_died"


class EngineOutOfMemory(EngineError):
    """params: reason; planned_bytes and available_bytes when known; device=True for a card's memory."""

    code = "engine_memory"


class MemoryPlanRefused(EngineOutOfMemory):
    """Refused before loading. params: model, planned, available (texts), planned_bytes,
    available_bytes, context, kv_type, fit_context, fit_kv_type, fit_planned (what would fit).
    """

    code = "memory_refused"


class ModelTooLarge(MemoryPlanRefused):
    """Not even the smallest context fits. params: those of MemoryPlanRefused without fit_*."""

    code = "model_too_large"


MEMORY_CODES: frozenset[str] = frozenset({"engine_memory", "memory_refused", "model_too_large"})
"""The codes of errors that the recovery steps can help with."""


class EngineUnreachable(EngineError):
    """params: url, reason."""

    code = "engine_unreachable"


class EngineRefused(EngineError):
    """params: status, reason."""

    code = "engine_refused"


class CannotContinue(EngineError):
    """The server cannot go on from a begun answer; it would write a new one. params: model."""

    code = "cannot_continue"


class NotSupported(EngineError):
    """The model or its server has not what was asked for. params: field, reason."""

    code = "not_supported"


class SharedContextFull(EngineError):
    """A server whose parallel answers share one context had no room, twice. params: context, slots."""

    code = "shared_context_full"


class ContextExceeded(EngineError):
    """params: prompt_tokens, max_new_tokens, context."""

    code = "context_exceeded"


class DocumentsTooLong(ContextExceeded):
    """Nothing was sent. params: those of ContextExceeded; passages (a line for each page or heading with
    its tokens, not cut).
    """

    code = "documents_too_long"

    def message(self, language: str = "en") -> str:
        """Return what does not fit, and below it every page or heading with its tokens."""
        return f"{super().message(language)}\n{self.params.get('passages', '')}".rstrip()


class ModelError(TwoKeysError):
    """params: reason."""

    code = "model"


class ModelMissing(ModelError):
    """params: name."""

    code = "model_missing"


class ModelBroken(ModelError):
    """params: name, reason."""

    code = "model_broken"


class DownloadFailed(ModelError):
    """params: name, reason."""

    code = "download_failed"


class NothingReachable(DownloadFailed):
    """params: sources."""

    code = "nothing_reachable"


class DiskFull(ModelError):
    """params: needed_bytes, free_bytes, path."""

    code = "disk_full"

    def _shown(self, language: str) -> dict[str, object]:
        sizes = {
            n: bytes_text(v) for n, v in self.params.items() if n.endswith("_bytes") and isinstance(v, int)
        }
        return super()._shown(language) | sizes


class StoreError(TwoKeysError):
    """params: path, reason."""

    code = "store"


class StoreLocked(StoreError):
    """params: path."""

    code = "store_locked"


class StoreCorrupt(StoreError):
    """params: path, backup, reason."""

    code = "store_corrupt"


class StoreNewer(StoreError):
    """params: path, found, known."""

    code = "store_newer"


class StoreFull(StoreError):
    """params: path."""

    code = "store_full"


class StoreReadOnly(StoreError):
    """params: path."""

    code = "store_read_only"


class StoreGone(StoreError):
    """params: path."""

    code = "store_gone"


class AnswersNotStored(StoreError):
    """The app ended with answers that the database could not take. params: count, path (of the file
    that has them, "–" when there was no place for one), reason.
    """

    code = "answers_not_stored"


def store_error(exc: OSError, path: Path) -> StoreError:
    """Return our error for a file of the data folder that the operating system does not let us have."""
    if exc.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StoreFull(path=str(path))
    if exc.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return StoreReadOnly(path=str(path))
    return StoreError(path=str(path), reason=exc.strerror or str(exc))


class AccessError(TwoKeysError):
    """params: reason."""

    code = "access"


class StreamlitChanged(TwoKeysError):
    """Streamlit is not what TwoKeys was built for. params: version, name (what is missing or other)."""

    code = "streamlit_changed"
