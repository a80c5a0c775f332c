"""An order, and who may chat about it."""

from typing import Any

from django.conf import settings
from django.db import models
from django.urls import reverse
from nous_chat import rooms
from nous_chat.engine import ToolContext, tool


class Order(models.Model):
    number = models.CharField(max_length=20, primary_key=True)
    customer = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="orders")
    state = models.CharField(max_length=20, default="packed")

    def __str__(self) -> str:
        return f"Order {self.number}"

    def get_absolute_url(self) -> str:
        return reverse("order", args=[self.number])


@tool
def order_state(context: ToolContext) -> str:
    """Say how far the order is."""
    order = context.object
    order.refresh_from_db()
    state: str = order.state
    return state


class OrderRoom(rooms.Room):
    tools = (order_state,)

    def can_see(self, user: Any, obj: Order) -> bool:
        return bool(user.is_staff or obj.customer == user)

    def can_post(self, user: Any, obj: Order) -> bool:
        return obj.state != "closed" or user.is_staff

    def instructions(self, obj: Order) -> str:
        return f"This is about order {obj.number}."


rooms.register(Order, OrderRoom)
