//! Builds kernels before it is their turn, while something else leaves a CPU idle.

use std::sync::atomic::{AtomicBool, Ordering};

use super::kernel::Kernel;
use crate::arch::Arch;
use crate::log::Viewer;
use crate::route::Route;
use crate::workspace::Workspace;

/// Builds these in their order, each for several machines where that is one build, until `is_over` is seen between two.
/// Before them what decodes their logs.
pub(crate) fn build(workspace: &Workspace, route: &Route, kernels: &[(Kernel, Arch)], is_over: &AtomicBool) {
    if kernels.iter().any(|(kernel, _)| !kernel.messages.is_empty()) {
        Viewer::build_ahead(workspace);
    }
    for (place, (kernel, arch)) in kernels.iter().enumerate() {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        kernel.build_ahead(workspace, route, *arch, &kernel.also(*arch, &kernels[place..]));
    }
}
