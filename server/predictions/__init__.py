"""Rewards, keypoints, predictions and interpolations of videos."""
