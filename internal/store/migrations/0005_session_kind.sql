-- What a session remembers of its login: the kind of attempt (0 password,
-- 1 certificate), and the role that the account had; '' = not known.
alter table session add column kind         integer not null default 0;
alter table session add column initial_role text    not null default '';
