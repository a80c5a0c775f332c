"""The admin of orders, with their rooms."""

from typing import ClassVar

from django.contrib import admin
from nous_chat.admin import RoomInline

from .models import Order


@admin.register(Order)
class OrderAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    inlines: ClassVar = [RoomInline]
