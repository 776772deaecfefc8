# SPDX-License-Identifier: Apache-2.0
"""What ``incamera owner`` does: each step a module, none of them a verb."""
