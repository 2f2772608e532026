"""Tables, peers, images, worker processes and pages that several benchmarks share."""
