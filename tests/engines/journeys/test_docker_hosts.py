"""What people do in tests/journeys, once more, with the models on two Docker hosts."""

from tests.journeys.test_administrator import *  # noqa: F403 - everything that each of them does, on ``slipway`` here
from tests.journeys.test_data_scientist import *  # noqa: F403
from tests.journeys.test_gateway import *  # noqa: F403
from tests.journeys.test_operator import *  # noqa: F403
from tests.journeys.test_pipeline import *  # noqa: F403
from tests.journeys.test_reviewer import *  # noqa: F403
