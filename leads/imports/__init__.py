"""Files of people: read twice, first to check the whole file, then to load it in chunks through `resolve`.

`reading` knows CSV, `columns` what each column means, `types` what its values are, `rows` what one row says,
`loading` how rows become contacts, `importing` the two passes.
"""

from .importing import Options, run_import
from .loading import Counts
from .reading import FileError

__all__ = ["Counts", "FileError", "Options", "run_import"]
