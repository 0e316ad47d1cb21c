"""MongoDB: the only package that knows the driver.

Motor is what runs; `ROGATORY_MONGO_DRIVER=pymongo` runs the same code on PyMongo's own async client, for Motor is past
its end of life. Only calls that are the same on both are used, save the two in `driver.settled`. Every error of the
driver comes out as `TryAgain`.
"""

from shared.mongo.connection import Moment, Mongo
from shared.mongo.driver import SAFE, Driver
from shared.mongo.slots import Slots
from shared.mongo.store import Change, Store

__all__ = ["SAFE", "Change", "Driver", "Moment", "Mongo", "Slots", "Store"]
