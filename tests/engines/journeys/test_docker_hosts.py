"""Omar's day on two Docker hosts: traffic and charts, scaling, healing, rolling back, alerts, stopping."""

from tests.journeys.test_operator import (
    test_endpoint_page_draws_the_traffic,
    test_form_made_of_the_signature_answers,
    test_new_version_takes_over_and_the_old_one_comes_back_by_roll_back,
    test_rule_fires_and_he_acknowledges_the_alert,
    test_scaled_to_two_and_a_killed_replica_is_back_and_no_call_fails,
    test_stopped_endpoint_answers_nobody_and_says_so,
    traffic,
)

__all__ = [
    "test_endpoint_page_draws_the_traffic",
    "test_form_made_of_the_signature_answers",
    "test_new_version_takes_over_and_the_old_one_comes_back_by_roll_back",
    "test_rule_fires_and_he_acknowledges_the_alert",
    "test_scaled_to_two_and_a_killed_replica_is_back_and_no_call_fails",
    "test_stopped_endpoint_answers_nobody_and_says_so",
    "traffic",
]
