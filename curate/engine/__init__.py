"""From a recipe to shards: plan, passes, and the two executors that run them."""
