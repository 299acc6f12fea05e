"""Objects that move by linear Gaussian dynamics.

Source: Chiappa and Paquet 2019, *Unsupervised Separation of Dynamics from Pixels*.
"""
