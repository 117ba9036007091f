//! The niche-plus-signaling model of chronic myeloid leukaemia.
