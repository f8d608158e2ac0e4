"""What `datasets/image_folder.py` is made of: the rows of a folder or list, and decoded images."""
