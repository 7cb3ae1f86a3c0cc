-- Version 4: what happened, noted by the very statements that do it, whoever executes them. The
-- last ten thousand stay; a number is never given again.
CREATE TABLE events (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    millis     INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000 AS INTEGER)),
    kind       TEXT NOT NULL,
    action     TEXT NOT NULL,
    actor      TEXT NOT NULL,
    attributes TEXT NOT NULL
);
CREATE TRIGGER events_limited AFTER INSERT ON events WHEN NEW.number % 256 = 0 BEGIN
    DELETE FROM events WHERE number <= NEW.number - 10240;
END;

-- A container runs as soon as its state names who keeps it: before, its process is only being made.
CREATE TRIGGER container_created AFTER INSERT ON containers BEGIN
    INSERT INTO events (kind, action, actor, attributes) VALUES (
        'container', 'create', NEW.id,
        json_patch(coalesce(NEW.config ->> '$.runtime.Labels', '{}'),
                   json_object('image', NEW.image_name, 'name', NEW.name)));
END;
CREATE TRIGGER container_started AFTER UPDATE OF state ON containers
WHEN NEW.state ->> '$.is' = 'running' AND NEW.state ->> '$.keeper' IS NOT NULL
 AND NOT (OLD.state ->> '$.is' = 'running' AND OLD.state ->> '$.keeper' IS NOT NULL) BEGIN
    INSERT INTO events (kind, action, actor, attributes) VALUES (
        'container', 'start', NEW.id,
        json_patch(coalesce(NEW.config ->> '$.runtime.Labels', '{}'),
                   json_object('image', NEW.image_name, 'name', NEW.name)));
END;
CREATE TRIGGER container_ended AFTER UPDATE OF state ON containers
WHEN OLD.state ->> '$.is' = 'running' AND OLD.state ->> '$.keeper' IS NOT NULL
 AND NOT (NEW.state ->> '$.is' = 'running' AND NEW.state ->> '$.keeper' IS NOT NULL) BEGIN
    INSERT INTO events (kind, action, actor, attributes) VALUES (
        'container', 'die', NEW.id,
        json_patch(coalesce(NEW.config ->> '$.runtime.Labels', '{}'),
                   json_object('image', NEW.image_name, 'name', NEW.name,
                               'exitCode', CAST(coalesce(NEW.state ->> '$.code', 137) AS TEXT))));
END;
CREATE TRIGGER container_paused AFTER UPDATE OF state ON containers
WHEN OLD.state ->> '$.is' = 'running' AND NEW.state ->> '$.is' = 'running'
 AND coalesce(OLD.state ->> '$.paused', 0) <> coalesce(NEW.state ->> '$.paused', 0) BEGIN
    INSERT INTO events (kind, action, actor, attributes) VALUES (
        'container', iif(NEW.state ->> '$.paused', 'pause', 'unpause'), NEW.id,
        json_patch(coalesce(NEW.config ->> '$.runtime.Labels', '{}'),
                   json_object('image', NEW.image_name, 'name', NEW.name)));
END;
CREATE TRIGGER container_checked AFTER UPDATE OF state ON containers
WHEN NEW.state ->> '$.is' = 'running' AND NEW.state ->> '$.health' IN ('healthy', 'unhealthy')
 AND NEW.state ->> '$.health' IS NOT OLD.state ->> '$.health' BEGIN
    INSERT INTO events (kind, action, actor, attributes) VALUES (
        'container', 'health_status: ' || (NEW.state ->> '$.health'), NEW.id,
        json_patch(coalesce(NEW.config ->> '$.runtime.Labels', '{}'),
                   json_object('image', NEW.image_name, 'name', NEW.name)));
END;
CREATE TRIGGER container_renamed AFTER UPDATE OF name ON containers WHEN OLD.name <> NEW.name BEGIN
    INSERT INTO events (kind, action, actor, attributes) VALUES (
        'container', 'rename', NEW.id,
        json_patch(coalesce(NEW.config ->> '$.runtime.Labels', '{}'),
                   json_object('image', NEW.image_name, 'name', NEW.name, 'oldName', OLD.name)));
END;
CREATE TRIGGER container_removed AFTER DELETE ON containers BEGIN
    INSERT INTO events (kind, action, actor, attributes) VALUES (
        'container', 'destroy', OLD.id,
        json_patch(coalesce(OLD.config ->> '$.runtime.Labels', '{}'),
                   json_object('image', OLD.image_name, 'name', OLD.name)));
END;

CREATE TRIGGER image_added AFTER INSERT ON images BEGIN
    INSERT INTO events (kind, action, actor, attributes)
    VALUES ('image', 'create', NEW.id, json_object('name', NEW.id));
END;
CREATE TRIGGER image_removed AFTER DELETE ON images BEGIN
    INSERT INTO events (kind, action, actor, attributes)
    VALUES ('image', 'delete', OLD.id, json_object('name', OLD.id));
END;
CREATE TRIGGER image_tagged AFTER INSERT ON names BEGIN
    INSERT INTO events (kind, action, actor, attributes)
    VALUES ('image', 'tag', NEW.image, json_object('name', NEW.name));
END;
CREATE TRIGGER image_untagged AFTER DELETE ON names BEGIN
    INSERT INTO events (kind, action, actor, attributes)
    VALUES ('image', 'untag', OLD.image, json_object('name', OLD.name));
END;

CREATE TRIGGER volume_created AFTER INSERT ON volumes BEGIN
    INSERT INTO events (kind, action, actor, attributes)
    VALUES ('volume', 'create', NEW.name, json_object('driver', 'local'));
END;
CREATE TRIGGER volume_removed AFTER DELETE ON volumes BEGIN
    INSERT INTO events (kind, action, actor, attributes)
    VALUES ('volume', 'destroy', OLD.name, json_object('driver', 'local'));
END;
