"""From records to tables and figures; reads result folders only and never imports torch."""
