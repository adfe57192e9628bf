"""What gateways were answered, for Prometheus."""

from prometheus_client import Counter

# `outcome` is an action that was served, the code of a refusal, or why nothing could be looked up:
# no_account, unknown_key, failed.
answers = Counter("stillwatch_gateway_answers", "Answers to gateways that ask.", ["outcome"], registry=None)
