-- A target may be logged in to with a client certificate. Its key is in
-- secret_sealed, or secret_source says where it is.
alter table target add column certificate text not null default ''; -- a chain in PEM, 'file:PATH', or '' = none
