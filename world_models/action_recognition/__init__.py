"""Which action is this? A classifier of keypoint sequences (Minderer et al. 2019, section S2.2).

It learns from any labelled set of feature sequences
(:mod:`world_models.action_recognition.labelled_features`):
``python -m world_models.train action-recognition --features FILE.npz``.
"""
