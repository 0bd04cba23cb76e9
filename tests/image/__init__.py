"""The image without a container builder: the Dockerfile's own steps, carried out in layers, and what comes of them."""
