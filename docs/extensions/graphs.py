"""Sphinx-Gallery: show a computation graph at the end of an example as its own drawing, an SVG."""

from typing import Any

from sphinx_gallery.scrapers import figure_rst


def scrape(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Write the drawing of the value at the end of a block of code; gives the text that shows it."""
    value = block_vars["example_globals"].get("___")  # Sphinx-Gallery's name for that value
    if not hasattr(value, "_repr_svg_"):
        return ""
    path = next(block_vars["image_path_iterator"]).removesuffix("png") + "svg"
    with open(path, "w", encoding="utf-8") as file:
        file.write(value._repr_svg_())
    return figure_rst([path], gallery_conf["src_dir"])


def _get_sg_image_scraper() -> Any:
    return scrape
