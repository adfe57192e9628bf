"""stillwatch finds, attributes, answers and shares distillation attacks on language-model APIs."""

__version__ = "0.1.0"
