"""The configuration: one typed model a section, read and checked before anything runs.

`workflow/schemas/config.schema.json` and the table in `config/README.md` are generated from these models.
"""

from cfm.configuration.reading import parse_configuration, read_configuration, sections
from cfm.configuration.sections import LEARNED, Codec, Section
from cfm.configuration.whole import Configuration

__all__ = ["LEARNED", "Codec", "Configuration", "Section", "parse_configuration", "read_configuration", "sections"]
