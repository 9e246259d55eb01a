CREATE TABLE `assignments` (
	`agent_id` text NOT NULL,
	`deployment` text NOT NULL,
	PRIMARY KEY(`agent_id`, `deployment`)
);
--> statement-breakpoint
ALTER TABLE `agents` ADD `approved_at` integer;--> statement-breakpoint
ALTER TABLE `join_tokens` ADD `require_approval` integer DEFAULT false NOT NULL;--> statement-breakpoint
-- Whoever is in the fleet was let in when it joined. Labels stay as they are: deployments may go by them.
UPDATE `agents` SET `approved_at` = `joined_at`;
--> statement-breakpoint
INSERT OR IGNORE INTO `assignments` (`agent_id`, `deployment`)
SELECT `desired`.`agent_id`, json_extract(`each`.`value`, '$.name')
FROM `desired`, json_each(CAST(`desired`.`payload` AS TEXT), '$.deployments') AS `each`;
--> statement-breakpoint
-- Windows of what an earlier document named may still wait on a host.
INSERT OR IGNORE INTO `assignments` (`agent_id`, `deployment`)
SELECT `agent_id`, `deployment` FROM `reports`;
