"""Every population of customers, by name."""

from collections.abc import Mapping

from stillwatch.evaluation.crowds import CROWDS
from stillwatch.evaluation.legitimate import SEGMENTS, Builder
from stillwatch.evaluation.raters import RATERS
from stillwatch.evaluation.recombined import RECOMBINED
from stillwatch.evaluation.tutors import TUTORS
from stillwatch.evaluation.twins import TWINS

POPULATIONS: Mapping[str, Builder] = {**SEGMENTS, **TWINS, **RECOMBINED, **RATERS, **TUTORS, **CROWDS}
