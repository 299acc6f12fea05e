"""Actions recognised from sequences of keypoints."""
