"""Helpers shared by the notebooks of the image generation course.

Nothing is imported here, so that `import course_utils` costs nothing. Notebooks name the module
they use: `from course_utils import data, plots`.
"""

__version__ = "0.1.0"
