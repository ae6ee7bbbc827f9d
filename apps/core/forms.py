"""Forms and the services behind them: a refusal is shown where it can be put right."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.forms import BaseForm

from apps.core.errors import Invalid, StateConflict


@contextmanager
def refusals_into(form: BaseForm) -> Iterator[None]:
    """Show what a service refuses beside the fields it speaks of, the rest above the form; the view shows it again.

    ::

        if form.is_valid():
            with refusals_into(form):
                accounts.edit_project(actor=request.actor, project=project, **form.cleaned_data)
                return redirect(…)
        return render_page(…, status=422 if form.errors else 200)
    """
    try:
        yield
    except Invalid as error:
        _take_over(form, error)
    except StateConflict as error:
        form.add_error(None, f"{error.message} {error.advice}".strip())


def _take_over(form: BaseForm, error: Invalid) -> None:
    unplaced = []
    for name, texts in error.errors.items():
        if name in form.fields:
            form.add_error(name, [str(text) for text in texts])
        else:
            unplaced += [str(text) for text in texts]
    if unplaced or not error.errors:
        form.add_error(None, [f"{error.message} {error.advice}".strip(), *unplaced])
