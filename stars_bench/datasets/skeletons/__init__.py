"""Joint layouts: Kinect v1 and v2, COCO and others."""
