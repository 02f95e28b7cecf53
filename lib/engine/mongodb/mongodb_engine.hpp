#pragma once

#include "engine/entry.hpp"

namespace dbbackup::engine::mongodb {

// MongoDB and servers that speak its protocol, through mongo-c-driver.
Entry entry();

}  // namespace dbbackup::engine::mongodb
