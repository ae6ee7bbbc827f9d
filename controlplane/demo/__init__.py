"""``up --demo``: a cast of people, models really trained on real data, and the way of each to traffic.

``training`` makes the model files in a process of its own (nobody imports it); ``story`` takes them along the public
services with different people uploading and approving; ``traffic`` sends real samples through the gateway, for ever.
"""
