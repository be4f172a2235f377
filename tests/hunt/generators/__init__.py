"""The generators of sources, by the name of the reader in the catalog."""

from tests.hunt.generators import annotations, chats, folders, grounded_tables, tables, tars
from tests.hunt.made import Generator

GENERATORS = {
    name: Generator(name, make)
    for family in (tars, tables, chats, annotations, folders, grounded_tables)
    for name, make in family.MAKERS.items()
}
