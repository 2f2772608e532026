"""The application: convolutional networks as sequences of units."""
