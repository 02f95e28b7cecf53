// The catalog's row for a manifest.
#pragma once

#include <string>

#include "catalog/types.hpp"
#include "repository/manifest.hpp"

namespace dbbackup::job {

catalog::Artifact artifact_record(const repository::Manifest& manifest,
                                  const std::string& repository_name);

}  // namespace dbbackup::job
