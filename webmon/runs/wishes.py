"""What people may ask for again: the words and the addresses of each wish.

The addresses are those of the replaced system, where opening them was enough to send a run off;
here they lead to a question.
"""

from dataclasses import dataclass

from workflow_manager.domain.steps import Step


@dataclass(frozen=True, slots=True)
class Wish:
    """One thing to ask for; `step` None is everything that follows when data is ready."""

    address: str
    step: Step | None
    button: str
    means: str

    @property
    def route(self) -> str:
        """The name of its address."""
        return f"request {self.address}"


REDUCE = Wish(
    "reduce", Step.REDUCTION, "Reduce again", "An agent runs the instrument's reduction script."
)
CATALOGUE = Wish(
    "catalog", Step.CATALOGUING, "Catalogue again", "An agent tells the catalogue of the data file."
)
EVERYTHING = Wish(
    "postprocess",
    None,
    "All again",
    "Everything that follows the end of a run is done again, as the instrument's route says.",
)
WISHES = (REDUCE, CATALOGUE, EVERYTHING)
