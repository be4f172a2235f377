"""Steps that ask generative models, the client that sends their requests, and the prompts."""
