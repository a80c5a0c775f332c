"""The site's URLs: the chat at /chat/, Django's login at /accounts/, the admin at /admin/."""

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.views import LoginView, PasswordChangeView, PasswordResetConfirmView
from django.urls import include, path
from django.utils.translation import gettext_lazy as _
from django.views.generic import RedirectView

from .not_found import page_not_found
from .sign_in import throttled

HINT = _("Sign in as demo. The password is printed in the terminal that runs the server.")

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="nous_chat:home")),
    path("chat/", include("chat.urls")),
    path(
        "accounts/login/",
        throttled(LoginView.as_view(extra_context={"demo_account": HINT if settings.DEMO_ACCOUNT else ""})),
        name="login",
    ),
    path("accounts/password_change/", throttled(PasswordChangeView.as_view()), name="password_change"),
    path(
        "accounts/reset/<uidb64>/<token>/",
        throttled(PasswordResetConfirmView.as_view()),
        name="password_reset_confirm",
    ),
    path("accounts/", include("django.contrib.auth.urls")),
    path("admin/login/", throttled(admin.site.login)),
    path("admin/", admin.site.urls),
    path("<path:path>", page_not_found),
]
