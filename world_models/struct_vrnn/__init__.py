"""Struct-VRNN: learned keypoints, and a stochastic, action-conditional model of how they move.

Source: Minderer et al. 2019, *Unsupervised Learning of Object Structure and Dynamics from Videos*.
"""
