"""Checks of a student's own function, with messages that say what is wrong.

A check calls the function on a few tiny inputs, compares with a reference, and prints one line:
"Correct: ..." or "Not yet: ...", with the input, both results and, where the mistake is a known
one, a hint. The checks of each notebook stand in a module of their own and are gathered here. To
add one, write a `check_...` function that hands `check` a reference, the inputs and the known
mistakes, most specific first. A reference takes another way than students are asked to.
"""

from course_utils._exercises_cnn import (
    check_conv2d,
    check_conv_parameters,
    check_cross_entropy,
    check_grad_cam,
    check_receptive_field,
)
from course_utils._exercises_diffusion import (
    check_ddim_step,
    check_diffuse,
    check_guide,
    check_picture_from_velocity,
)
from course_utils._exercises_gan import (
    check_best_logits,
    check_discriminator_cost,
    check_generator_slope,
    check_slerp,
)
from course_utils._exercises_pixelcnn import (
    check_bits_per_dimension,
    check_class_posterior,
    check_conv_mask,
    check_draw_symbol,
)
from course_utils._exercises_style import (
    check_gram_changes,
    check_gram_matrix,
    check_keep_luminance,
    check_total_variation,
)
from course_utils._exercises_vae import (
    check_importance_weighted_bound,
    check_kl_divergence,
    check_latent_grid,
    check_reparameterise,
)

__all__ = [
    "check_best_logits",
    "check_bits_per_dimension",
    "check_class_posterior",
    "check_conv2d",
    "check_conv_mask",
    "check_conv_parameters",
    "check_cross_entropy",
    "check_ddim_step",
    "check_diffuse",
    "check_discriminator_cost",
    "check_draw_symbol",
    "check_generator_slope",
    "check_grad_cam",
    "check_gram_changes",
    "check_gram_matrix",
    "check_guide",
    "check_importance_weighted_bound",
    "check_keep_luminance",
    "check_kl_divergence",
    "check_latent_grid",
    "check_picture_from_velocity",
    "check_receptive_field",
    "check_reparameterise",
    "check_slerp",
    "check_total_variation",
]
