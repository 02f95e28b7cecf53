// As much XML as the answers of S3 and Azure need: elements by name, in flat documents that the
// service itself made. Not a parser for anything else.
//
// Threads: pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dbbackup::storage {

// The content of every element called `name`, in order. Elements of the same name do not nest in
// these documents.
std::vector<std::string_view> xml_elements(std::string_view document, std::string_view name);
// The decoded text of the first element called `name`.
std::optional<std::string> xml_text(std::string_view document, std::string_view name);

}  // namespace dbbackup::storage
