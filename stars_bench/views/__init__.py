"""Floor 2.7: skeletons to look at: a clip from anywhere in, a picture, an animation or a page out."""
