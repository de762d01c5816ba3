"""The expectation that no copy of a clip is in another split. Importing this module takes seconds."""

from great_expectations.expectations import core as gxe
from great_expectations.expectations.expectation import Expectation

from tasks.params.data import NearDuplicateParams
from tasks.twins.leaks import COPIED_BY


class ExpectNoCopyInAnotherSplit(gxe.ExpectColumnValuesToBeNull):
    """A clip that shows what a clip of another split shows, encoded or cut otherwise, is no test of anything."""


def about_copies(params: NearDuplicateParams) -> list[Expectation]:
    """The expectation, where copies are looked for."""
    description = "No clip is a copy of a clip of another split (validate.near_duplicates)."
    return [ExpectNoCopyInAnotherSplit(column=COPIED_BY, description=description)] if params.enabled else []
