"""Every error that pinrank raises for a person to read.

    PinrankError
    ├── SettingsError      a setting is missing, misspelt or out of range
    ├── TableError         a file or folder is not the table it should be
    │   └── JudgmentError  human grades that cannot be used as they are
    ├── ModelError         a model folder cannot be opened or trusted
    │   └── ParityError    an engine's probabilities differ from the reference
    ├── FetchError         public data cannot be downloaded, or is not what was pinned
    ├── CommitError        an output belongs to other settings, or to another running job
    ├── ClusterError       a Ray cluster does not answer, or does not know what it is asked for
    └── StoreCorrupt       a pin store does not match its manifest

A message says what is wrong, where (file, column, rows) and how to mend it.
"""


class PinrankError(ValueError):
    """Base of all errors raised for a person; pipelines print it as one line and exit with 2."""


class SettingsError(PinrankError):
    """A setting is missing, misspelt or out of range."""


class TableError(PinrankError):
    """A file or folder is not the table it should be."""


class JudgmentError(TableError):
    """Human grades that cannot be used as they are."""


class ModelError(PinrankError):
    """A model folder cannot be opened or trusted."""


class ParityError(ModelError):
    """An engine's probabilities differ from the reference by more than the tolerance."""


class FetchError(PinrankError):
    """Public data cannot be downloaded, or is not what was pinned."""


class CommitError(PinrankError):
    """An output belongs to other settings, or to another running job."""


class ClusterError(PinrankError):
    """A Ray cluster does not answer, or does not know what it is asked for."""


class StoreCorrupt(PinrankError):
    """A pin store does not match its manifest."""
