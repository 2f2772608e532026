"""How fast do images get into a training, and how much memory do they take?"""
