// The [[packages]] of an application: sources of others, put where its targets look for them.
#pragma once

#include "tools/app/application.hpp"
#include "tools/xtask/core/context.hpp"

namespace ax::xtask {

/// Fetches and unpacks the package where its folder is missing or holds another version of it. Throws Failure: with --dry-run
/// when there is something to do, and when the package cannot be had or its files cannot be made.
void have_package(const Context& context, const app::Package& package);

}  // namespace ax::xtask
