"""Control: what to do, and what it is worth, from the keypoints of a frozen Struct-VRNN."""
